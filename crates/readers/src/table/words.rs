//! What columns, labels and totals are called in the languages of those who write them.
//!
//! Whole phrases, never parts: `price incl. VAT` is not a price, and an unknown column is left alone.

use crate::draft::kind_of_code;
use crate::invoice;

/// What a column or a label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Number,
    Date,
    Currency,
    Supplier,
    Buyer,
    Kind,
    LineId,
    SellerSku,
    BuyerSku,
    Gtin,
    Description,
    /// `item`, `article`: the item's id or its name, by what else there is.
    Item,
    Quantity,
    Unit,
    UnitPrice,
    PriceBase,
    TaxRate,
    Net,
    /// The document's order: a sign of an order where no invoice number stands beside it.
    Order,
    /// A sign of a stock list.
    Stock,
    /// Totals of the document: of the lines, without tax, the tax, with tax, to pay.
    Lines,
    NetTotal,
    Tax,
    Gross,
    Payable,
    /// Freight and the like.
    Charge,
    /// A rebate on the document.
    Allowance,
}

use Role::{
    Allowance, Buyer, BuyerSku, Charge, Currency, Date, Description, Gross, Gtin, Item, Kind, LineId, Lines,
    Net, NetTotal, Number, Order, Payable, PriceBase, Quantity, SellerSku, Stock, Supplier, Tax, TaxRate,
    Unit, UnitPrice,
};

/// Phrases of columns and of labels above the table; of several columns of one role the one whose phrase comes
/// first is taken.
#[rustfmt::skip]
const COLUMNS: [(Role, &str); 20] = [
    (Number, "invoice number|invoice no|invoice nr|invoice num|invoice id|invoice|inv no|inv number|bill number|\
        credit note number|credit note no|credit memo number|document number|document no|doc no|rechnungsnummer|\
        rechnungsnr|rechnungs nr|rechnung nr|rechnung|rechnung no|gutschriftsnummer|belegnummer|belegnr|\
        numero de facture|n de facture|no de facture|num de facture|numero facture|no facture|n facture|facture no|facture n|facture|num facture|\
        numero de factura|n de factura|no de factura|num de factura|numero factura|n factura|no factura|num factura|factura no|factura n|factura|\
        numero fattura|n fattura|fattura n|fattura no|fattura|factuurnummer|factuurnr|factuur nr|factuur|\
        numero da fatura|numero fatura|n fatura|fatura|fakturanummer|fakturanr|faktura nr|faktura no|faktura|\
        numer faktury|nr faktury|laskunumero|cislo faktury"),
    (Date, "invoice date|date of invoice|issue date|date of issue|document date|doc date|rechnungsdatum|belegdatum|\
        ausstellungsdatum|date de facture|date facture|date de la facture|date d emission|fecha de factura|\
        fecha factura|fecha de emision|data fattura|data della fattura|data emissione|factuurdatum|data da fatura|\
        data de emissao|fakturadatum|fakturadato|data faktury|data wystawienia|date|datum|fecha|data|dato"),
    (Currency, "currency|currency code|curr|wahrung|waehrung|devise|monnaie|moneda|divisa|valuta|moeda|waluta"),
    (Supplier, "supplier name|supplier|vendor name|vendor|seller|seller name|lieferant|verkaufer|fournisseur|\
        proveedor|fornitore|leverancier|fornecedor|leverantor|leverandor|dostawca|sprzedawca"),
    (Buyer, "buyer name|buyer|customer name|customer|bill to|billed to|sold to|kunde|kundenname|kaufer|client|cliente|\
        klant|kopare|kunde navn|nabywca|odbiorca"),
    (Kind, "document type|doc type|type of document|belegart|dokumenttyp|type de document|tipo de documento|\
        tipo documento|documenttype|transaction type|type|typ"),
    (LineId, "line number|line no|line nr|line id|line|position|pos|pos nr|zeile|ligne|no ligne|linea|riga|regel|linha|\
        rad|linje|lp|no|nr|n"),
    (SellerSku, "supplier sku|vendor sku|seller sku|supplier item|supplier item code|supplier part number|vendor item|\
        vendor part number|sku|item code|item number|item no|item nr|item id|itemcode|product code|product id|\
        product number|product no|product sku|article number|article no|article code|article nr|part number|part no|\
        part|code|material|material number|catalog number|style|artikelnummer|artikelnr|artikel nr|art nr|\
        artikel nummer|materialnummer|bestellnr|reference|ref|ref article|reference article|reference produit|\
        code article|code produit|codigo|codigo producto|codigo de producto|codigo articulo|referencia|codice|\
        codice articolo|cod articolo|cod|rif|artikelcode|productcode|codigo do produto|varenummer|varenr|\
        kod|kod towaru|indeks|symbol|tuotekoodi"),
    (BuyerSku, "buyer sku|customer sku|customer item|customer item number|customer part number|buyer item|\
        your item number|your reference|your ref|ihre artikelnummer|ihre artikelnr|kundenartikelnummer|ref client|\
        votre reference|su referencia"),
    (Gtin, "gtin|ean|ean code|ean13|ean 13|gtin ean|ean gtin|upc|upc code|barcode|bar code|strichcode|code barre|\
        code barres|code a barres|codigo de barras|codice a barre|codice ean|streckkod|stregkode|kod kreskowy"),
    (Description, "description|item description|product description|product name|item name|article name|name|title|\
        goods|description of goods|bezeichnung|beschreibung|artikelbezeichnung|produktbezeichnung|artikelname|text|\
        designation|libelle|descriptif|intitule|descripcion|denominacion|concepto|detalle|descrizione|denominazione|\
        omschrijving|beschrijving|descricao|designacao|beskrivning|benamning|beskrivelse|betegnelse|varetekst|opis|\
        nazwa|nazwa towaru|nazwa towaru lub uslugi|kuvaus"),
    (Item, "item|items|product|article|produkt|artikel|produit|producto|articulo|prodotto|articolo|produto|artigo|\
        vara|vare|towar"),
    (Quantity, "invoiced quantity|quantity invoiced|qty invoiced|invoiced qty|billed quantity|quantity billed|\
        shipped quantity|quantity shipped|qty shipped|shipped qty|delivered quantity|qty delivered|quantity|qty|qnty|\
        quant|units|pcs|pieces|menge|anzahl|stuck|stk|stueck|liefermenge|quantite|qte|nombre|cantidad|cant|unidades|\
        quantita|qta|q ta|aantal|hoeveelheid|quantidade|qtd|qtde|antal|antall|kvantitet|ilosc|maara"),
    (Unit, "unit|unit code|unit of measure|uom|um|measure|einheit|me|mengeneinheit|unite|unidad|unidad de medida|u m|\
        unita|unita di misura|eenheid|unidade|enhet|enhed|jednostka|jm|j m"),
    (UnitPrice, "net unit price|unit price net|unit price excl vat|unit price ex vat|unit price|unitprice|price per unit|\
        price each|unit cost|net price|price net|price|cost|rate|each|einzelpreis netto|einzelpreis|nettopreis|\
        stuckpreis|e preis|ep|preis|preis netto|prix unitaire ht|prix unitaire|prix unit|prix u|pu ht|p u ht|pu|p u|\
        prix ht|prix|precio unitario|precio unit|precio ud|precio|p unitario|prezzo unitario|prezzo unit|prezzo|\
        eenheidsprijs|stukprijs|prijs per stuk|prijs|preco unitario|preco|a pris|styckpris|enhetspris|stykpris|\
        enhedspris|pris|cena jednostkowa netto|cena jednostkowa|cena netto|cena|yksikkohinta"),
    (PriceBase, "price base|price unit|price per|base quantity|per|preiseinheit|pe|preis pro"),
    (TaxRate, "vat rate|vat percent|tax rate|tax percent|sales tax rate|gst rate|gst percent|mwst percent|mwst satz|\
        ust percent|ust satz|steuersatz|taux tva|taux de tva|tva percent|percent tva|iva percent|percent iva|\
        tipo iva|aliquota|aliquota iva|btw percent|btw tarief|percent btw|taxa iva|moms percent|momssats|\
        stawka vat|vat stawka"),
    (Net, "line total net|net line total|line total excl vat|line net|line amount|line total|net amount|amount net|\
        extended price|extended amount|ext price|ext amount|extension|line value|net value|net total|net|\
        total price|amount|total|value|gesamtpreis netto|positionssumme|nettobetrag|gesamt netto|netto|gesamtpreis|\
        gesamt|betrag|summe|montant ht|total ht|montant|total ligne|importe neto|importe|total linea|\
        importo netto|importo|totale|totale riga|nettobedrag|bedrag|totaal|regeltotaal|valor liquido|valor|\
        radbelopp|belopp|nettobelopp|linjetotal|belob|belop|summa|wartosc netto|wartosc|kwota netto|kwota"),
    (Order, "order number|order no|order nr|order id|order|sales order|po number|po no|po|purchase order|\
        purchase order number|customer order|bestellnummer|auftragsnummer|commande|no commande|numero de commande|\
        pedido|numero de pedido|ordine|numero ordine|ordernummer|bestelnummer|encomenda|zamowienie"),
    (Stock, "on hand|stock on hand|qty on hand|quantity on hand|in stock|stock|available|available quantity|\
        qty available|inventory|inventory level|bestand|lagerbestand|stock disponible|existencias|giacenza|voorraad|\
        lagersaldo"),
];

/// Phrases of totals and of what is added to the document, above or behind the table.
#[rustfmt::skip]
const TOTALS: [(Role, &str); 7] = [
    (Lines, "subtotal|sub total|sum of lines|goods total|zwischensumme|warenwert|sous total|sous total ht|subtotaal|\
        sub totale|suma parcial|delsumma"),
    (NetTotal, "total net|net total|total excl vat|total ex vat|total excluding vat|total before tax|nettosumme|\
        summe netto|gesamt netto|gesamtbetrag netto|netto gesamt|total ht|total hors taxe|total hors taxes|\
        base imponible|total sin iva|imponibile|totale imponibile|totaal excl btw|totaal exclusief btw|\
        total sem iva|summa exkl moms|netto|total netto|razem netto"),
    (Tax, "vat|vat total|total vat|vat amount|tax|total tax|tax total|tax amount|sales tax|gst|mwst|ust|umsatzsteuer|\
        mehrwertsteuer|mwst betrag|tva|montant tva|total tva|iva|importe iva|total iva|cuota iva|totale iva|btw|\
        btw bedrag|totaal btw|moms|moms total|podatek vat|kwota vat|invoice tax"),
    (Gross, "total|grand total|invoice total|total amount|total incl vat|total including vat|total inc vat|\
        gesamtbetrag|gesamtsumme|rechnungsbetrag|bruttobetrag|endbetrag|gesamt|summe brutto|gesamt brutto|brutto|\
        total ttc|montant ttc|montant total|total factura|importe total|total con iva|totale|totale fattura|\
        totale documento|totaal|totaal incl btw|totaal inclusief btw|total geral|total da fatura|total com iva|\
        summa|totalt|total inkl moms|summa inkl moms|i alt|razem|razem brutto|wartosc brutto"),
    (Payable, "amount due|total due|balance due|amount payable|payable|to pay|zahlbetrag|zu zahlen|zu zahlender betrag|\
        net a payer|a payer|total a pagar|importe a pagar|totale da pagare|netto a pagare|te betalen|\
        totaal te betalen|valor a pagar|att betala|at betale|a betale|do zaplaty"),
    (Charge, "shipping|freight|delivery|shipping and handling|shipping cost|delivery charge|postage|versand|\
        versandkosten|fracht|frachtkosten|lieferkosten|porto|port|frais de port|livraison|transport|gastos de envio|\
        envio|portes|trasporto|spese di trasporto|spedizione|verzendkosten|vracht|frakt|fragt"),
    (Allowance, "discount|total discount|rebate|rabatt|nachlass|remise|descuento|sconto|korting|desconto|rabat"),
];

/// What a phrase, normalised by [`normal`], is called in a header, and how good a name it is for that: 0 is best.
pub(super) fn column(phrase: &str) -> Option<(Role, usize)> {
    find(&COLUMNS, phrase)
}

/// What a phrase means beside a total.
pub(super) fn total(phrase: &str) -> Option<Role> {
    find(&TOTALS, phrase).map(|(role, _)| role)
}

/// Blanks do not count: `unitprice` is `unit price`, and `MwSt` is not two words.
fn find(table: &[(Role, &str)], phrase: &str) -> Option<(Role, usize)> {
    let phrase = phrase.replace(' ', "");
    table.iter().find_map(|(role, phrases)| {
        phrases.split('|').position(|known| letters(known).eq(phrase.bytes())).map(|rank| (*role, rank))
    })
}

fn letters(phrase: &str) -> impl Iterator<Item = u8> {
    phrase.bytes().filter(|byte| *byte != b' ')
}

/// Whether a text says that the document is a credit note.
pub(super) fn says_credit(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "credit note",
        "creditnote",
        "credit memo",
        "gutschrift",
        "stornorechnung",
        "avoir",
        "facture d avoir",
        "nota de credito",
        "nota di credito",
        "creditnota",
        "kreditnota",
        "faktura korygujaca",
    ];
    let text = normal(text);
    WORDS.iter().any(|word| text == *word || text.starts_with(&format!("{word} ")))
}

/// What a column of types says, in a word or by the codes of UNTDID 1001; nothing where it says something else.
pub(super) fn kind(text: &str) -> Option<invoice::Kind> {
    const INVOICES: [&str; 14] = [
        "invoice",
        "inv",
        "tax invoice",
        "sales invoice",
        "commercial invoice",
        "rechnung",
        "re",
        "facture",
        "factura",
        "fattura",
        "factuur",
        "faktura",
        "debit invoice",
        "di",
    ];
    const CREDITS: [&str; 10] =
        ["cn", "cr", "cm", "credit", "credit invoice", "gs", "storno", "abono", "rectificativa", "refund"];
    let plain = normal(text);
    if says_credit(text) || CREDITS.contains(&plain.as_str()) {
        return Some(invoice::Kind::CreditNote);
    }
    INVOICES.contains(&plain.as_str()).then_some(invoice::Kind::Invoice).or_else(|| kind_of_code(text.trim()))
}

/// Whether a text is the title of what brings no goods, or not for the first time.
pub(super) fn says_no_goods(text: &str) -> bool {
    const TITLES: [&str; 16] = [
        "quotation",
        "quote",
        "estimate",
        "offer",
        "angebot",
        "offerte",
        "devis",
        "preventivo",
        "presupuesto",
        "delivery note",
        "packing list",
        "lieferschein",
        "copy",
        "kopie",
        "duplicate",
        "duplicata",
    ];
    let plain = normal(text);
    let starts = ["pro forma", "proforma"].iter().any(|start| plain.starts_with(start));
    starts || TITLES.contains(&plain.as_str())
}

/// A phrase in the form of the tables: words in lower case and without accents, parted by one blank; `invoiceNo`,
/// `INVOICE_NO` and `Invoice No.:` are all `invoice no`, and `%` is `percent`.
pub(super) fn normal(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut last_lower = false;
    for character in text.chars().take(200) {
        if character == '%' {
            words.push_str(" percent ");
            last_lower = false;
            continue;
        }
        if character.is_uppercase() && last_lower {
            words.push(' ');
        }
        last_lower = character.is_lowercase();
        for lower in character.to_lowercase() {
            match plain(lower) {
                Some(letters) => words.push_str(letters),
                None if lower.is_alphanumeric() => words.push(lower),
                // Accents that stand apart vanish; everything else parts words.
                None if ('\u{300}'..='\u{36f}').contains(&lower) => {}
                None => words.push(' '),
            }
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ł' => "l",
        'ñ' | 'ń' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ś' | 'š' => "s",
        'ß' => "ss",
        'ù' | 'ú' | 'û' | 'ü' | 'ů' => "u",
        'ý' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'º' | '°' | '№' => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_in_their_normal_form_and_mean_one_thing() {
        for table in [&COLUMNS[..], &TOTALS[..]] {
            let mut seen = std::collections::HashMap::new();
            for (role, phrase) in
                table.iter().flat_map(|(role, all)| all.split('|').map(move |one| (role, one.trim())))
            {
                assert_eq!(normal(phrase), phrase);
                let before = seen.insert(phrase.replace(' ', ""), role);
                assert!(before.is_none_or(|before| before == role), "{phrase}: {before:?} and {role:?}");
            }
        }
    }

    #[test]
    fn names() {
        for (name, role) in [
            ("InvoiceNo", Number),
            ("INVOICE_NUMBER", Number),
            ("N° facture", Number),
            ("Währung", Currency),
            ("Qté", Quantity),
            ("Einzelpreis (netto)", UnitPrice),
            ("MwSt.-%", TaxRate),
            ("Ilość", Quantity),
        ] {
            assert_eq!(column(&normal(name)).map(|(role, _)| role), Some(role), "{name}");
        }
        for name in ["Price incl. VAT", "Prix TTC", "Bruttopreis", "Remarks", ""] {
            assert_eq!(column(&normal(name)), None, "{name}");
        }
        assert!(says_credit("Credit Note 17") && says_credit("GUTSCHRIFT") && !says_credit("Invoice"));
    }
}
