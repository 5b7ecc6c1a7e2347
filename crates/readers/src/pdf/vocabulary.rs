//! The words that invoices are labelled with: English, German, French, Dutch, Spanish, Italian.
//!
//! All without blanks, accents and signs, as [`super::grid::norm`] leaves them. A label is here because a language
//! or a trade uses it, never because a vendor does.

/// What a column of the table of lines holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Position,
    Sku,
    /// `Article`, `Item`: the description, unless another column is that; then the item's number.
    Item,
    Description,
    Quantity,
    Unit,
    Price,
    Discount,
    TaxRate,
    TaxAmount,
    /// Without VAT, outright.
    Net,
    /// With VAT, outright.
    Gross,
    /// With or without VAT, the numbers tell.
    Amount,
    Other,
}

/// Headings of columns.
#[rustfmt::skip]
pub(super) const COLUMNS: &[(Column, &[&str])] = &[
    (Column::Position, &[
        "pos", "position", "posnr", "no", "nr", "line", "lineno", "lfdnr", "lfd", "ligne", "lignefact",
        "regel", "rij", "riga", "linea", "n", "sno", "srno", "sl", "slno",
    ]),
    (Column::Sku, &[
        "sku", "artikelnr", "artnr", "artikelnummer", "artnrkunde", "artnrlief", "articleno",
        "articlenumber", "itemno", "itemnumber", "itemcode", "productcode", "productno", "productnumber",
        "code", "codearticle", "codearticlereference", "artikelcode", "reference", "ref", "referencia",
        "codigo", "codice", "codicearticolo", "codart", "partno", "partnumber", "materialnr", "stockcode",
        "catalogno", "ean", "gtin", "modelno",
    ]),
    (Column::Item, &[
        "item", "items", "article", "artikel", "product", "products", "produkt", "articulo", "articolo",
        "producto", "produit", "prodotto", "ware",
    ]),
    (Column::Description, &[
        "description", "itemdescription", "productdescription", "descriptionofgoods", "beschreibung",
        "bezeichnung", "artikelbezeichnung", "leistung", "leistungsbeschreibung", "text", "omschrijving",
        "designation", "nomdesignation", "libelle", "descripcion", "concepto", "descrizione", "details",
        "service", "title", "name", "goods", "particulars", "denominazione", "detalle",
    ]),
    (Column::Quantity, &[
        "qty", "qnty", "quantity", "menge", "anzahl", "qte", "quantite", "aantal", "hoeveelheid", "cantidad",
        "cant", "quantita", "qta", "hours", "stunden", "stuks", "unidades", "stk", "invoicedqty",
        "qtyinvoiced", "shippedqty", "qtyshipped", "liefermenge", "stuck", "uds",
    ]),
    (Column::Unit, &[
        "unit", "units", "einheit", "einh", "unite", "unitforpu", "eenheid", "unidad", "ud", "um", "uom",
        "me", "unitofmeasure", "unita",
    ]),
    (Column::Price, &[
        "unitprice", "price", "priceunit", "preis", "einzelpreis", "epreis", "ep", "stuckpreis",
        "preisstuck", "preisproeinheit", "nettopreis", "einzelpreisnetto", "nettoeinzelpreis", "vkpreis",
        "vkpreisohnemwst", "prixunitaire", "prixunit", "prixunitht", "prixunitaireht", "pu", "puht", "prix",
        "prixht", "prijs", "stukprijs", "prijsperstuk", "prijsstuk", "eenheidsprijs", "stuksprijs", "precio",
        "preciounitario", "preciounit", "punitario", "prezzo", "prezzounitario", "prezzounit", "rate",
        "unitcost", "priceperunit", "netprice", "netunitprice", "unitnetprice", "priceeach", "each",
        "listprice", "prijsexclbtw",
    ]),
    (Column::Discount, &[
        "discount", "disc", "discount%", "disc%", "rabatt", "rabatt%", "remise", "remise%", "remisecharge",
        "korting", "korting%", "descuento", "dto", "dto%", "desc%", "sconto", "sconto%", "nachlass",
        "zuabschlag",
    ]),
    (Column::TaxRate, &[
        "tax", "tax%", "taxrate", "vat", "vat%", "vatrate", "mwst", "mwst%", "mwstsatz", "ust", "ust%",
        "ustsatz", "tva", "tva%", "%tva", "tauxtva", "taux", "btw", "btw%", "%btw", "iva", "iva%", "%iva",
        "steuer", "steuer%", "steuersatz", "steuersatz%", "gst", "gst%", "salestax", "aliquota", "vatcode",
    ]),
    (Column::TaxAmount, &[
        "vatamount", "taxamount", "amountofvat", "steuerbetrag", "mwstbetrag", "ustbetrag", "montanttva",
        "btwbedrag", "importeiva", "importoiva", "cuotaiva",
    ]),
    (Column::Net, &[
        "net", "netto", "netamount", "netvalue", "nettotal", "nettobetrag", "nettowert", "nettosumme",
        "gesamtnetto", "gesamtpreisnetto", "gesamtbetragnetto", "betragnetto", "summenetto", "entgelt",
        "totalht", "montantht", "montanteurht", "prixtotalht", "positionsbetragohnesteuer",
        "zeilenbetragohnemwst", "zeilenbetragohneust", "bedragexclbtw", "totaalexclbtw", "totaalexcl",
        "exclbtw", "totalexclvat", "totalexvat", "amountexclvat", "amountexvat", "exvat", "netlineamount",
        "linenetamount", "importeneto", "baseimponible", "imponibile", "importonetto", "lineamountexclvat",
        "totalnet", "taxableamount", "taxablevalue",
    ]),
    (Column::Gross, &[
        "gross", "brutto", "grossamount", "bruttobetrag", "gesamtbrutto", "montantttc", "montanteurttc",
        "totalttc", "prixttc", "prijsinclbtw", "bedraginclbtw", "totaalinclbtw", "totaalincl", "inclbtw",
        "totalinclvat", "totalincvat", "amountinclvat", "amountincvat", "incvat", "importeconiva",
        "totaleivato", "bruttopreis", "gesamtpreisbrutto", "totaliva",
    ]),
    (Column::Amount, &[
        "amount", "total", "linetotal", "totalamount", "totalprice", "lineamount", "betrag", "gesamt",
        "gesamtpreis", "gesamtbetrag", "gp", "summe", "zeilenbetrag", "positionsbetrag", "zeilensumme",
        "montant", "prixtotal", "montanttotal", "bedrag", "totaal", "totaalbedrag", "totaalprijs", "importe",
        "importetotal", "importo", "totale", "prezzototale", "extension", "extended", "extendedprice",
        "extprice", "extamount", "wert", "value", "subtotal", "subtotaal", "gesamtsumme",
    ]),
    (Column::Other, &[
        "date", "datum", "fecha", "data", "falligkeit", "teilzahlung", "basisbetrag", "basismenge",
        "grondslag", "warenwert", "ordered", "qtyordered", "orderedqty", "bestellt", "backordered",
        "kategorie", "gewicht", "weight", "serial", "bestellmenge", "quantityordered",
    ]),
];

/// What an amount below the lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Total {
    Lines,
    Charges,
    Allowances,
    Net,
    Tax,
    Gross,
    Prepaid,
    Rounding,
    Payable,
}

/// Labels of totals.
#[rustfmt::skip]
pub(super) const TOTALS: &[(Total, &[&str])] = &[
    (Total::Lines, &[
        "positionssumme", "summepositionen", "summederpositionen", "zwischensumme", "subtotal", "soustotal",
        "subtotaal", "subtotale", "linestotal", "itemstotal", "itemtotal", "totallines", "sumofnetamounts",
        "sumofnetlineamounts", "sumoflines", "goodstotal", "totalgoods", "sommapositioni", "sumadelineas",
        "somme",
    ]),
    (Total::Charges, &[
        "gesamtbetragderzuschlage", "summezuschlage", "totalcharges", "sumofcharges",
    ]),
    (Total::Allowances, &[
        "gesamtbetragderabschlage", "summeabschlage", "totalallowances", "sumofallowances",
    ]),
    (Total::Net, &[
        "rechnungssummeohneust", "rechnungssummeohnemwst", "rechnungsbetragnetto", "nettobetrag",
        "nettobetraggesamt", "summenetto", "summeohnemwst", "summeohneust", "gesamtnetto",
        "gesamtbetragnetto", "gesamtsummenetto", "gesamtbetragohnemwst", "gesamtbetragohneust",
        "nettogesamtbetrag", "nettogesamt", "nettosumme", "nettowert", "netto", "netamount", "nettotal",
        "nettotalamount", "net", "totalnet", "totalnetamount", "totalexclvat", "totalexvat",
        "totalexcludingvat", "totalexcltax", "totalexcludingtax", "totalwithoutvat", "totalwithouttax",
        "totalbeforetax", "totalbeforevat", "amountexclvat", "subtotalexclvat", "subtotalexvat",
        "subtotalexclbtw", "subtotaalexclbtw", "exclusiefbtw", "exclbtw", "totaalexclbtw",
        "totaalexclusiefbtw", "totaalbedragexclbtw", "bedragexclbtw", "totaalexcl", "nettobedrag",
        "totaalnetto", "totalht", "totalhthorstaxes", "totalhorstaxes", "montantht", "montanttotalht",
        "totalnetht", "baseimponible", "totalbaseimponible", "totalsiniva", "totalneto", "importeneto",
        "neto", "imponibile", "totaleimponibile", "totaleimpon", "totalenetto", "totalenettoiva",
        "taxableamount", "totaltaxableamount",
    ]),
    (Total::Tax, &[
        "steuerbetrag", "gesamtsteuer", "summesteuer", "mwst", "mwstbetrag", "ust", "umsatzsteuer",
        "umsatzsteuerbetrag", "mehrwertsteuer", "zzglmwst", "zzglust", "zzglumsatzsteuer", "zuzuglichmwst",
        "zuzuglichust", "plusmwst", "summemwst", "summeust", "vat", "vatamount", "vattotal", "totalvat",
        "totalvatamount", "tax", "taxamount", "taxtotal", "totaltax", "salestax", "gst", "hst", "tva",
        "totaltva", "montanttva", "montanttotaltva", "montantdelatva", "btw", "btwbedrag", "totaalbtw",
        "bedragbtw", "iva", "totaliva", "importeiva", "cuotaiva", "importoiva", "totaleiva", "imposta",
        "totaleimposta",
    ]),
    (Total::Gross, &[
        "bruttosumme", "bruttobetrag", "bruttogesamt", "gesamtbetrag", "gesamtbetragbrutto", "gesamtsumme",
        "gesamtsummebrutto", "gesamtbrutto", "gesamt", "rechnungsbetrag", "rechnungsbetragbrutto",
        "rechnungssumme", "rechnungsgesamtbetrag", "rechnungsendbetrag", "endbetrag", "endsumme", "summe",
        "summebrutto", "betraginklmwst", "gesamtbetraginklmwst", "gesamtbetraginklust", "summeinklmwst",
        "total", "totalamount", "totalgross", "grosstotal", "grossamount", "gross", "grandtotal",
        "invoicetotal", "invoiceamount", "totalinvoice", "totalinvoiceamount", "totalforthisinvoice",
        "totalinclvat", "totalincvat", "totalincludingvat", "totalincltax", "totalincludingtax",
        "totalwithvat", "totalwithtax", "totalttc", "montantttc", "montanttotalttc", "totalgeneral",
        "totalfacture", "montanttotal", "totaal", "totaalinclbtw", "totaalinclusiefbtw", "totaalbedrag",
        "totaalbedraginclbtw", "inclusiefbtw", "inclbtw", "bedraginclbtw", "factuurtotaal", "factuurbedrag",
        "totaalfactuur", "eindtotaal", "totalfactura", "importetotal", "totalconiva", "totalivaincluido",
        "totale", "totalefattura", "totaledocumento", "importototale", "totaleivainclusa", "totaleivato",
    ]),
    (Total::Prepaid, &[
        "erhalteneanzahlungen", "erhalteneanzahlung", "anzahlung", "anzahlungen", "geleisteteanzahlung",
        "abzuglichanzahlung", "bereitsgezahlt", "bereitsbezahlt", "prepaid", "prepaidamount", "prepayment",
        "amountpaid", "paidamount", "alreadypaid", "paid", "deposit", "acompte", "acomptes", "avance",
        "dejapaye", "dejaregle", "montantpaye", "vooruitbetaald", "reedsbetaald", "betaald", "aanbetaling",
        "anticipo", "pagado", "acuenta", "acconto", "pagato",
    ]),
    (Total::Rounding, &[
        "rundung", "rundungsbetrag", "rundungsdifferenz", "rounding", "roundingamount", "arrondi",
        "afronding", "redondeo", "arrotondamento",
    ]),
    (Total::Payable, &[
        "zahlbetrag", "zuzahlen", "zuzahlenderbetrag", "zahlungsbetrag", "falligerbetrag", "offenerbetrag",
        "restbetrag", "amountdue", "totaldue", "totalamountdue", "balancedue", "balance", "amountpayable",
        "totalpayable", "payableamount", "payable", "amounttopay", "totaltopay", "duepayable", "netapayer",
        "netapayerttc", "totalapayer", "sommeapayer", "montantapayer", "montantdu", "soldedu", "resteapayer",
        "tebetalen", "totaaltebetalen", "tebetalenbedrag", "apagar", "totalapagar", "importeapagar",
        "dapagare", "totaledapagare", "nettoapagare", "importodapagare",
    ]),
];

/// Rows that carry a page's sum over to the next page: neither a line nor a total.
#[rustfmt::skip]
pub(super) const CARRIED: &[&str] = &[
    "ubertrag", "carriedforward", "broughtforward", "carryforward", "areporter", "report", "transport",
    "transporteren", "sumayyssigue", "sumaysigue", "riporto", "seitensumme", "pagetotal",
];

/// What ends the table of lines without being a total.
#[rustfmt::skip]
pub(super) const SECTIONS: &[&str] = &[
    "umsatzsteueraufschlusselung", "steueraufschlusselung", "belegsummen", "zahlungsbedingungen",
    "zahlungsart", "zahlungsform", "zahlungsziel", "zuundabschlage", "rechnungsbegleitendeunterlagen",
    "paymentterms", "paymentdetails", "paymentinformation", "termsandconditions", "termsconditions",
    "bankdetails", "notes", "vatsummary", "vatbreakdown", "taxsummary", "vatanalysis", "detailtva",
    "conditionsdepaiement", "modalitesdepaiement", "betalingsvoorwaarden", "betalingscondities",
    "condicionesdepago", "formadepago", "condizionidipagamento", "modalitadipagamento", "bankverbindung",
];

/// Labels of the invoice's own number.
#[rustfmt::skip]
pub(super) const NUMBER: &[&str] = &[
    "invoicenumber", "invoiceno", "invoicenr", "invoicenum", "invoiceid", "invoice", "taxinvoiceno",
    "taxinvoicenumber", "invoicecode", "billnumber", "billno", "creditnotenumber", "creditnoteno",
    "creditnote", "creditmemono", "documentnumber", "documentno", "rechnungsnummer", "rechnungsnr",
    "rechnungnr", "rechnungnummer", "rechnung", "rechnungno", "belegnummer", "belegnr", "gutschriftsnummer",
    "gutschriftnummer", "gutschriftsnr", "gutschriftnr", "gutschrift", "facturen", "factureno",
    "facturenumero", "numerodefacture", "numerofacture", "nfacture", "ndefacture", "nodefacture", "facture",
    "avoirn", "avoir", "factuurnummer", "factuurnr", "factuurno", "factuur", "creditnota",
    "creditnotanummer", "facturan", "facturano", "facturanumero", "numerodefactura", "numfactura",
    "ndefactura", "nfactura", "factura", "fatturan", "fatturanr", "fatturanumero", "numerofattura",
    "nfattura", "fattura",
];

/// Of these labels, those that only say what kind of document it is; a number has to follow at once.
#[rustfmt::skip]
pub(super) const TITLES: &[&str] = &[
    "invoice", "creditnote", "rechnung", "gutschrift", "facture", "avoir", "factuur", "creditnota",
    "factura", "fattura",
];

/// Words in titles that a number of the document follows, with its kind in front (`Corrected invoice No. 5`).
#[rustfmt::skip]
pub(super) const NUMBER_SIGNS: &[&str] = &[
    "nr", "no", "n", "number", "nummer", "numero", "num", "#", "nro",
];

/// Kinds of documents within longer words (`Handelsrechnung`, `Rechnungskorrektur`).
#[rustfmt::skip]
pub(super) const KINDS: &[&str] = &[
    "invoice", "rechnung", "gutschrift", "facture", "factuur", "factura", "fattura", "creditnote",
];

/// Labels of the date of issue.
#[rustfmt::skip]
pub(super) const DATE: &[&str] = &[
    "invoicedate", "dateofinvoice", "dateofissue", "issuedate", "issuedon", "invoicedateissued", "billdate",
    "creditnotedate", "taxdate", "documentdate", "rechnungsdatum", "datumderrechnung", "belegdatum",
    "ausstellungsdatum", "rechnungvom", "gutschriftsdatum", "datedefacture", "datefacture",
    "datedefacturation", "datedemission", "datedelafacture", "factuurdatum", "datumfactuur",
    "fechadefactura", "fechafactura", "fechadeemision", "fechaemision", "fechadeexpedicion", "datafattura",
    "datadellafattura", "datadocumento", "datadiemissione", "dataemissione",
];

/// Labels of some date, the invoice's if no other has a better one.
#[rustfmt::skip]
pub(super) const ANY_DATE: &[&str] = &[
    "date", "datum", "fecha", "data",
];

/// What joins the number and its date.
#[rustfmt::skip]
pub(super) const DATED: &[&str] = &[
    "vom", "du", "of", "dated", "van", "del", "de", "date", "datum", "from",
];

/// Labels of the seller.
#[rustfmt::skip]
pub(super) const SELLER: &[&str] = &[
    "verkaufer", "lieferant", "rechnungssteller", "leistungserbringer", "seller", "soldby", "vendor",
    "supplier", "billfrom", "serviceprovider", "issuedby", "vendeur", "fournisseur", "emetteur", "verkoper",
    "leverancier", "vendedor", "proveedor", "emisor", "venditore", "fornitore", "cedente",
    "cedenteprestatore",
];

/// Labels of the buyer.
#[rustfmt::skip]
pub(super) const BUYER: &[&str] = &[
    "kaufer", "kauferleistungsempfanger", "leistungsempfanger", "rechnungsempfanger", "kunde",
    "rechnungsadresse", "rechnungsanschrift", "buyer", "billto", "billedto", "billtoaddress",
    "billingaddress", "soldto", "invoiceto", "invoicedto", "customer", "client", "acheteur",
    "adresseduclient", "adressedefacturation", "facturea", "destinataire", "koper", "klant", "factuuradres",
    "factuuraan", "comprador", "cliente", "facturara", "direcciondefacturacion", "acquirente", "cessionario",
    "cessionariocommittente", "intestatario",
];

/// Labels of a party's name, within its block.
#[rustfmt::skip]
pub(super) const NAME: &[&str] = &[
    "name", "nom", "naam", "nombre", "nome", "firma", "company", "companyname",
];

/// Labels of the currency.
#[rustfmt::skip]
pub(super) const CURRENCY: &[&str] = &[
    "currency", "invoicecurrency", "wahrung", "rechnungswahrung", "devise", "monnaie", "valuta", "munt",
    "moneda", "divisa",
];

/// Titles of credit notes.
#[rustfmt::skip]
pub(super) const CREDIT: &[&str] = &[
    "creditnote", "creditmemo", "creditinvoice", "gutschrift", "gutschriftsanzeige", "rechnungsgutschrift",
    "stornorechnung", "avoir", "factureavoir", "facturedavoir", "notedecredit", "creditnota",
    "creditfactuur", "notadecredito", "abono", "facturarectificativa", "notadicredito", "notacredito",
];

/// Words that tell a language other than English, where a date's order is the day's first.
#[rustfmt::skip]
pub(super) const NOT_ENGLISH: &[&str] = &[
    "rechnung", "rechnungsdatum", "rechnungsnummer", "mwst", "betrag", "facture", "tva", "montant",
    "factuur", "btw", "bedrag", "factura", "iva", "importe", "fattura", "importo", "fecha", "datum",
];

/// What contains one of these is about another document's number or date.
#[rustfmt::skip]
pub(super) const OTHERS: &[&str] = &[
    "associee", "origine", "original", "ursprung", "bezug", "preceding", "previous", "related", "referenz",
    "correlata", "rectificada", "due", "fallig", "echeance", "verval", "vencimiento", "scadenza", "order",
    "bestell", "commande", "pedido", "ordine", "liefer", "livraison", "lever", "entrega", "consegna",
    "delivery", "gemass", "print", "zahlbar",
];

/// What rows of allowances begin with.
#[rustfmt::skip]
pub(super) const ALLOWANCES: &[&str] = &[
    "remise", "rabatt", "rabais", "discount", "korting", "descuento", "sconto", "abschlag", "nachlass",
    "allowance", "reduction", "skonto", "sonderrabatt",
];

/// What rows of charges begin with.
#[rustfmt::skip]
pub(super) const CHARGES: &[&str] = &[
    "charge", "frais", "zuschlag", "versand", "shipping", "freight", "transport", "port", "livraison",
    "porto", "verzend", "envio", "spedizione", "fracht", "delivery", "handling", "postage", "gastos",
    "spese", "surcharge",
];

/// What page numbers begin with.
pub(super) const PAGE: &[&str] = &["page", "seite", "pagina", "pag", "blatt", "blad", "hoja", "foglio", "p"];

/// What says that something is the reader's own: the buyer's.
pub(super) const YOURS: &[&str] = &[
    "your",
    "ihre",
    "ihr",
    "uw",
    "jouw",
    "votre",
    "vos",
    "su",
    "sus",
    "vostra",
    "vostro",
    "customer",
    "client",
    "kunde",
    "klant",
    "cliente",
    "kunden",
    "buyer",
    "buyers",
    "customers",
];
